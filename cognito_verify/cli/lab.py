"""The CostCalculator lab of examples/, for `cognito-verify demo`: an installed wheel has a copy beside this file."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cognito_verify.errors import ConfigurationError

__all__ = ["load_lab"]

# Where the wheel has the files (pyproject.toml, force-include), and where a clone has them.
_PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[2] / "examples")


def load_lab() -> Any:
    """The module `examples.cost_calculator.lab`, whoever else has something called `examples`.

    Raises:
        ConfigurationError: moto's server or boto3 is missing.
    """
    package = ModuleType("examples")
    package.__path__ = [str(place) for place in _PLACES]
    sys.modules.setdefault("examples", package)
    try:
        return import_module("examples.cost_calculator.lab")
    except ImportError as error:
        raise ConfigurationError(f"demo: needs {error.name}: pip install 'cognito-verify[demo]'") from None
