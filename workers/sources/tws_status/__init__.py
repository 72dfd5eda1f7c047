"""The source `tws_status`: the plan, job logs and workstations over the HWA REST API."""
