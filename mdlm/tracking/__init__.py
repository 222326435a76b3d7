"""Where runs are written down: an MLflow store, files to be imported into one later, or nowhere.

The only package that imports mlflow.
"""

from mdlm.tracking.base import NoTracking, Tracker, Tracking
from mdlm.tracking.files import Files
from mdlm.tracking.mlflow import MLflow

__all__ = ["Files", "MLflow", "NoTracking", "Tracker", "Tracking"]
