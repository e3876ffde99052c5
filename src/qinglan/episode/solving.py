"""A programme written in linopy, handed to HiGHS in silence.

linopy's own way of calling HiGHS lets the solver print its name on the output stream before it can be told not to,
which would spoil ``--json``; and it keeps reduced costs to itself. So its matrices are handed over here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.core.errors import QinglanError


@dataclass(frozen=True)
class Solved:
    """An optimum: by linopy's labels the values of variables, and the duals of constraints (NaN with integers)."""

    objective: float
    values: NDArray[np.float64]
    duals: NDArray[np.float64]

    def of(self, variable: Any) -> NDArray[np.float64]:
        """Values of a linopy variable, in its shape."""
        return self.values[np.asarray(variable.labels.values, dtype=np.int64)]

    def dual(self, constraint: Any) -> NDArray[np.float64]:
        """Duals of a linopy constraint, in its shape: what one more of its right side costs."""
        return self.duals[np.asarray(constraint.labels.values, dtype=np.int64)]


def solve(model: Any, *, gap: float = 1e-3, seconds: float = 600.0) -> Solved | None:
    """The optimum of a linopy model that is made less; None when it has no solution.

    gap : relative, of the search for integers. seconds : after these the best integers found so far are taken.
    Raises QinglanError when HiGHS stops for any other reason.
    """
    import highspy

    matrices = model.matrices
    # The class below highspy.Highs: that one calls the solver, which prints, before options can be given.
    solver: Any = highspy.Highs.__base__
    options: Any = highspy.HighsOptions()
    options.output_flag, options.mip_rel_gap, options.time_limit = False, gap, seconds
    highs = solver()
    highs.passOptions(options)
    lower, upper = np.asarray(matrices.lb, float), np.asarray(matrices.ub, float)
    highs.addVars(len(lower), lower, upper)
    kinds = np.asarray(matrices.vtypes)
    whole = np.flatnonzero(kinds != "C").astype(np.int32)
    if len(whole):
        highs.changeColsIntegrality(len(whole), whole, np.ones(len(whole), dtype=np.uint8))
    cost = np.asarray(matrices.c, float)
    highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
    table = matrices.A.tocsr()
    sense, right = np.asarray(matrices.sense), np.asarray(matrices.b, float)
    least, most = np.where(sense == "<", -np.inf, right), np.where(sense == ">", np.inf, right)
    highs.addRows(table.shape[0], least, most, table.nnz, table.indptr, table.indices, table.data)
    highs.run()
    status, known = highs.getModelStatus(), highspy.HighsModelStatus
    if status in (known.kInfeasible, known.kUnboundedOrInfeasible):
        return None
    found = highs.getSolution()
    partly = status == known.kTimeLimit and bool(len(whole)) and found.value_valid
    if status != known.kOptimal and not partly:
        raise QinglanError(
            f"HiGHS stopped: {highs.modelStatusToString(status)}.",
            remedy="Try a larger gap, or let lines cut by shares instead of stopping whole.",
        )
    duals = np.full(len(right), np.nan) if len(whole) else np.array(found.row_dual)
    return Solved(
        float(highs.getObjectiveValue()),
        _by_label(np.asarray(matrices.vlabels), np.array(found.col_value)),
        _by_label(np.asarray(matrices.clabels), duals),
    )


def _by_label(labels: NDArray[Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    made = np.full(int(labels.max()) + 1 if len(labels) else 0, np.nan)
    made[labels] = values
    return made
