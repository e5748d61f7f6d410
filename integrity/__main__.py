"""`python -m integrity` is the command `integrity`."""

from integrity.cli.main import main

if __name__ == "__main__":
    main()
