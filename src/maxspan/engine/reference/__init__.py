"""The reference evaluator: slow, obvious, event by event. It is the judge of every faster way of running a rule.

Each function points to the section of the semantics document (docs/eql.md carries the same numbers) that it
implements.
"""
