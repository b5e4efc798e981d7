"""National cryptography: SM3 (GB/T 32905-2016), SM2 signatures (GB/T 32918.2-2016, curve of GB/T 32918.5-2017)."""
