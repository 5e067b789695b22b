"""Parquet by columns: each distinct value meets the rules once, and only rows that fulfil something become events.

arrow    pyarrow and numpy, if they are there
layout   a file's schema       -> units (what is read whole) and the fields in them
reading  a file                -> batches of columns, in bounded memory
values   a column              -> its distinct values, as the rows' JSON would say them
fields   a batch               -> the values of fields, whatever columns hold them
rules    compiled rules        -> the tables that are asked
masks    a batch               -> the rows that fulfil pieces of rules
rows     such rows             -> their JSON text, and their fields
lines    such rows             -> what the compiled scanner writes their lines of
taking   such rows             -> candidates for the detector
replay   what was read         -> the same once more, as rows
"""
