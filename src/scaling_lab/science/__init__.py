"""The mathematics: accounting, laws, fits and their uncertainty, planning. numpy and scipy only; no files."""
