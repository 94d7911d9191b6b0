"""The base of all views: the widget, its bundle of scripts, its page, and its picture."""
