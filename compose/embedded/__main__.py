import signal
import sys

# Before the imports, which take a moment: Ctrl-C ends them without a trace.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from compose.embedded.commands import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
