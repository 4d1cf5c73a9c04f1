from numpy.version import *
from numpy.version import __version__ as __version__
