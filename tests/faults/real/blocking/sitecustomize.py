"""Found by every Python that has this folder on its path: SIGUSR1 makes its event loop do nothing.

The signal's handler runs in the thread of the loop, between two of its callbacks, and sleeps. All
other threads go on, and so do connections, which is what a callback that takes too long looks like.
"""

import os
import signal
import time

signal.signal(signal.SIGUSR1, lambda *_: time.sleep(float(os.environ["BLOCK_SECONDS"])))
