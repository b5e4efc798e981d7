"""National cryptography: SM3 (GB/T 32905-2016) and SM2 signatures (GB/T 32918.2-2016 on the curve of GB/T 32918.5-2017)."""
