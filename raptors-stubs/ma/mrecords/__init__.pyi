from numpy.ma.mrecords import *
