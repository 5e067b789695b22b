"""The lab: reverse shells run for real, and ordinary work, under the eyes of the sensor.

Two network namespaces joined by a veth pair stand for two machines: the *victim*, where every payload and every benign
activity runs, and the *peer*, where the attacker listens and where servers answer. Each is also a process namespace of
its own, so that ending its first process ends all that was started in it, and nothing of the host's network is touched.

    namespaces   makes the two machines            payloads   what is run, from payloads.toml
    agent        the first process of a machine    attacker   the listener that sends `id` and checks the answer
    janitor      removes what a killed run left    benign     ordinary work that must not alert
    watch        how the run is watched            report     the table
"""
