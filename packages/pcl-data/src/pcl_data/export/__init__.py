"""Files for viewers and for the servers of benchmarks."""

from pcl_data.export.html import write_html
from pcl_data.export.ply import write_ply

__all__ = ["write_html", "write_ply"]
