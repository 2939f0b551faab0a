"""The report: one page that shows what was compared, how sure it is, and the samples themselves."""
