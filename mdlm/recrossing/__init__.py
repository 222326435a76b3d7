"""Recrossing treatments: what cleans a state sequence of short excursions, one method per file."""
