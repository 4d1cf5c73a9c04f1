from numpy.ma.extras import *
from numpy.ma.extras import MAxisConcatenator as MAxisConcatenator
from numpy.ma.extras import mr_class as mr_class
