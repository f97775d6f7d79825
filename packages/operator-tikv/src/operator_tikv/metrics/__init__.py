"""What TiKV and PD say of themselves in metrics, through Prometheus or from each process."""
