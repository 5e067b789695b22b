"""The kernel: many rules over many events at the price of reading them; it finds what the reference finds.

pieces     conditions      -> conjunctions of conditions on one field each
patterns   wildcards, regular expressions of a field -> one pass over a value
tables     a field's value -> the pieces that it does not rule out, remembered
decoding   lines           -> typed structures with the fields of the rules alone
tree       an event        -> the stages that it fulfils
survivors  such events     -> what sequences need of them
machine    those in order  -> sequences
detector   all of it
"""
