"""What holds of a deployment, as questions in SQL whose rows are what is wrong.

The numbers are those of `docs/faults.md`. The tables are the plugin's, the demo host's, and
`chaos_verb`, in which a counting host says what its verbs did for good.
"""

from __future__ import annotations

#: Live runs of an account, and a lease that nobody can tell the end of.
_ONE_LIVE = """
SELECT account_id, count(*) FROM ensora_run WHERE state IN ('due', 'running')
GROUP BY account_id HAVING count(*) > 1"""
_NO_LEASE = """
SELECT id, state FROM ensora_run WHERE
(state = 'running' AND (lease_until IS NULL OR owner IS NULL))
OR (state IN ('done', 'failed') AND (ended_at IS NULL OR lease_until IS NOT NULL))"""
_COUNTS = """
SELECT run_id, kind FROM ensora_run_count
WHERE fetched <> new + changed + unchanged + set_aside"""
_DOUBLE_RENDERING = """
SELECT account_id, note_id, version, appointment_id FROM ensora_rendering
GROUP BY account_id, note_id, version, appointment_id HAVING count(*) > 1"""
#: A version was rendered again although nobody took it out in between.
_RENDERED_TWICE = """
SELECT v.account, v.note, v.version, v.appointment_id FROM chaos_verb v WHERE v.did = 2
GROUP BY v.account, v.note, v.version, v.appointment_id
HAVING count(*) > 1 + (SELECT count(*) FROM chaos_verb w WHERE w.did = -1
AND w.account = v.account AND w.note = v.note AND w.appointment_id = v.appointment_id)"""
#: Rendered says our row; the host never did it.
_NEVER_RENDERED = """
SELECT r.note_id, r.version, r.appointment_id FROM ensora_rendering r
JOIN ensora_connection c ON c.id = r.account_id
WHERE r.state = 'rendered' AND NOT EXISTS (SELECT 1 FROM chaos_verb v WHERE v.account = c.account
AND v.note = r.note_id AND v.version = r.version AND v.appointment_id = r.appointment_id
AND v.did = 2)"""
#: The host did something of which we have no row.
_UNKNOWN = """
SELECT v.note, v.version, v.appointment_id FROM chaos_verb v
JOIN ensora_connection c ON c.account = v.account WHERE v.did > 0 AND NOT EXISTS (
SELECT 1 FROM ensora_rendering r WHERE r.account_id = c.id AND r.note_id = v.note
AND r.version = v.version AND r.appointment_id = v.appointment_id)"""
_WINDOW_WITHOUT_ROW = """
SELECT a.id, s.source, s.source_version FROM appointment_signature s
JOIN appointment a ON a.id = s.appointment_id
JOIN ensora_connection c ON c.account = a.account_id
WHERE s.source <> '' AND NOT EXISTS (SELECT 1 FROM ensora_rendering r WHERE r.account_id = c.id
AND r.note_id = s.source AND r.version = s.source_version
AND r.appointment_id = CAST(a.id AS VARCHAR(40)) AND r.applied)"""
_ROW_WITHOUT_WINDOW = """
SELECT r.note_id, r.version, r.appointment_id FROM ensora_rendering r WHERE r.applied
AND NOT EXISTS (SELECT 1 FROM ensora_rendering later WHERE later.account_id = r.account_id
AND later.appointment_id = r.appointment_id AND later.id <> r.id AND later.applied
AND later.version >= r.version) AND NOT EXISTS (SELECT 1 FROM appointment_signature s
WHERE CAST(s.appointment_id AS VARCHAR(40)) = r.appointment_id AND s.source = r.note_id
AND s.source_version = r.version)"""
#: A rendering pass looks only at mappings that are marked.
_NEVER_LOOKED_AT = """
SELECT m.vendor_id, n.version FROM ensora_mapping m JOIN ensora_note n
ON n.account_id = m.account_id AND n.vendor_id = m.vendor_id
WHERE m.kind = 'note' AND m.host_id IS NOT NULL AND NOT m.unrendered AND NOT EXISTS (
SELECT 1 FROM ensora_rendering r WHERE r.account_id = m.account_id AND r.note_id = m.vendor_id
AND r.version = n.version AND r.appointment_id = m.host_id
AND r.state IN ('rendered', 'replaced'))"""
_AUTO_OVER_PERSON = """
SELECT m.kind, m.vendor_id FROM ensora_mapping m WHERE m.state = 'auto' AND EXISTS (
SELECT 1 FROM ensora_history h WHERE h.account_id = m.account_id AND h.kind = m.kind
AND h.vendor_id = m.vendor_id AND h.version >= m.version AND h.action = 'map'
AND h."by" IS NOT NULL)"""
_REJECTED_AGAIN = """
SELECT m.kind, m.vendor_id, m.host_id FROM ensora_mapping m JOIN ensora_rejected r
ON r.account_id = m.account_id AND r.kind = m.kind AND r.vendor_id = m.vendor_id
AND r.host_id = m.host_id WHERE m.state = 'auto'"""
_PERSON_WITHOUT_HISTORY = """
SELECT m.kind, m.vendor_id, m.version FROM ensora_mapping m WHERE m."by" IS NOT NULL AND (
SELECT count(*) FROM ensora_history h WHERE h.account_id = m.account_id AND h.kind = m.kind
AND h.vendor_id = m.vendor_id AND h.version = m.version) <> 1"""
_DOUBLE_HISTORY = """
SELECT account_id, kind, vendor_id, version FROM ensora_history WHERE vendor_id IS NOT NULL
AND version IS NOT NULL GROUP BY account_id, kind, vendor_id, version, action HAVING count(*) > 1"""
_RUN_WITHOUT_HISTORY = """
SELECT DISTINCT m.run_id, m.kind FROM ensora_mapping m WHERE m.state = 'auto' AND NOT EXISTS (
SELECT 1 FROM ensora_history h WHERE h.run_id = m.run_id AND h.kind = m.kind
AND h.action = 'automap')"""
#: A mapping to an entity of another customer.
_FOREIGN = """
SELECT m.kind, m.vendor_id, m.host_id FROM ensora_mapping m
JOIN ensora_connection c ON c.id = m.account_id WHERE m.host_id IS NOT NULL AND NOT EXISTS (
SELECT 1 FROM {table} e WHERE CAST(e.id AS VARCHAR(40)) = m.host_id
AND e.account_id = c.account) AND m.kind = '{kind}'"""
_ENTITIES = {"site": "agency", "student": "client", "user": "staff", "note": "appointment"}

#: (invariant, what is wrong, the question whose rows are wrong): true in the midst of all faults.
ALWAYS = (
    ("I-10", "an account with two live runs", _ONE_LIVE),
    ("I-13", "a run whose state and lease disagree", _NO_LEASE),
    ("I-29", "counts of a run that do not add up", _COUNTS),
    ("I-01", "two renderings of a version", _DOUBLE_RENDERING),
    ("I-01", "rendered twice by the host", _RENDERED_TWICE),
    ("I-02", "rendered says our row, not the host", _NEVER_RENDERED),
    ("I-02", "the host did what no row of ours says", _UNKNOWN),
    ("I-02", "a signature window of a note without its row", _WINDOW_WITHOUT_ROW),
    ("I-20", "an applied note that stands nowhere", _ROW_WITHOUT_WINDOW),
    ("I-20", "a version to render that no run would look at", _NEVER_LOOKED_AT),
    ("I-03", "automap over a person's mapping", _AUTO_OVER_PERSON),
    ("I-03", "automap made a rejected pair again", _REJECTED_AGAIN),
    ("I-04", "a person's mapping without its row of history", _PERSON_WITHOUT_HISTORY),
    ("I-04", "one change with two rows of history", _DOUBLE_HISTORY),
    ("I-04", "automatic mappings that no row of history covers", _RUN_WITHOUT_HISTORY),
    *(
        ("I-08", f"a {kind} mapped outside its account", _FOREIGN.format(table=table, kind=kind))
        for kind, table in _ENTITIES.items()
    ),
)
AT_REST = (
    ("I-13", "a run that has not ended", "SELECT id, state FROM ensora_run WHERE ended_at IS NULL"),
    (
        "I-14",
        "a connected account that is never due",
        "SELECT account FROM ensora_connection WHERE state = 'connected' AND due_at IS NULL",
    ),
    (
        "I-14",
        "an account that no run ever finished",
        "SELECT account FROM ensora_connection c WHERE state = 'connected' AND NOT EXISTS "
        "(SELECT 1 FROM ensora_run r WHERE r.account_id = c.id AND r.state = 'done')",
    ),
)
