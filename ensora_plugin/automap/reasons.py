"""Why a record does not map, in the words of a fixed list (domain: Automap)."""

from __future__ import annotations

#: Code -> words for people.
REASONS: dict[str, str] = {
    "ambiguous": "Ambiguous: several match equally well",
    "taken": "Taken by another record",
    "ignored": "Ignored",
    "rejected_by_a_person": "Rejected by a person",
    "no_site_mapping": "No site mapping",
    "no_agency_of_that_name": "No agency of that name",
    "no_such_client": "No such client",
    "other_agency": "Other agency",
    "empty_name_or_birth_date": "Empty name or birth date",
    "no_such_staff": "No such staff",
    "empty_name_or_email": "Empty name or email",
    "no_site": "No site",
    "no_client_mapping": "No client mapping",
    "no_staff_mapping": "No staff mapping",
    "no_client_and_no_staff_mapping": "No client and no staff mapping",
    "no_appointment_that_day": "No appointment that day",
    "outside_the_grace": "Outside the grace",
    "appointment_cancelled": "Appointment cancelled",
    "unpublished": "Unpublished",
    "unreadable_date_or_time": "Unreadable date or time",
}
#: In the place of a reason, until automap has looked at a record, or has to look at it again.
UNTRIED = "Waits for the next pull"
