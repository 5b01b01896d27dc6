"""What `fluxlab monitor` watches: panels over `sql/monitoring/`, their readings, the view.

panels    which file is which panel, which of its columns are counters, one headline
reading   one session that reads them again and again, and subtracts
view      a reading as text that fits a terminal, or as JSON
"""
