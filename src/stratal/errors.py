"""The one error that Stratal raises for input it cannot use."""


class InputError(ValueError):
    """Input that cannot be used: says where, what was found, what to do.

    The command line prints its sentence and exits with code 2; scripts catch it
    as a ``ValueError``.
    """
