"""A plugin whose import fails, as one with a missing dependency would."""

raise ImportError("this plugin needs a package that is not here")
