"""The command `dvid convert`, which turns label volumes of older datatypes into labelmaps; a server does the work.

command     the command line
remote      what is asked of the server
"""
