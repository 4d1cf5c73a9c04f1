from numpy.lib import *
from numpy.lib import format as format
