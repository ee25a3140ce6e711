"""Matrix products that round after every addition, exactly as the modelled hardware does."""

from analysis.emulation.gemm import matmul
from analysis.emulation.reference import matmul_exact

__all__ = ["matmul", "matmul_exact"]
