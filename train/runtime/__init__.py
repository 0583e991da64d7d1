"""What a service needs to label a page. Copied whole into every bundle: training and serving read alike.

Imports nothing outside this package but the standard library, numpy and, per family, scikit-learn + skops or
onnxruntime + tokenizers. No torch, no transformers, no mlflow, no `train`.
"""

from . import alone as alone  # first: it refuses what would be imported in place of what follows
from .labeler import Labeler, Scores
from .manifest import BundleError

__all__ = ["BundleError", "Labeler", "Scores"]
