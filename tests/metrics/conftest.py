"""What the tests of metrics have in common."""

import importlib
import sys
from types import ModuleType

# Quantus imports OpenCV, for blurs that no test asks for; OpenCV's wheel wants libGL, which a machine without a screen may lack.
try:
    importlib.import_module("cv2")
except ImportError:
    sys.modules["cv2"] = ModuleType("cv2")
