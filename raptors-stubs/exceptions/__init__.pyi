from numpy.exceptions import *
from numpy.exceptions import RankWarning as RankWarning
