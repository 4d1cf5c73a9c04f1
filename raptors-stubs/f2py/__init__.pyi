from numpy.f2py import *
from numpy.f2py import main as main
