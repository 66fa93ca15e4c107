"""Why a record does not map, explained on demand."""
