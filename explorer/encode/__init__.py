"""Picture files in, codes out: the same preparation as in the app, from Python and the terminal.

`explorer.encode.files.encode_files` is the function, `python -m explorer.encode` the command.
"""
