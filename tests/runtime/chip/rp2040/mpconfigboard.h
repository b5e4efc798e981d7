// The flash as board.toml says it: the log and the littlefs lie in MicroPython's storage area, ROMFS in front of it.
#define MICROPY_HW_BOARD_NAME "RP2040, emulated"
#define MICROPY_HW_FLASH_STORAGE_BASE (0xf8000)
#define MICROPY_HW_FLASH_STORAGE_BYTES (1056 * 1024)
#define MICROPY_HW_ROMFS_BYTES (512 * 1024)

// A network for `socket` and `tls`: the driver whose source Debian has (nothing answers it on the emulated chip).
#define MICROPY_PY_NETWORK (1)
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "rp2040"
#define MICROPY_HW_NINA_RESET (3)
#define MICROPY_HW_NINA_GPIO0 (2)
#define MICROPY_HW_NINA_GPIO1 (9)
#define MICROPY_HW_NINA_ACK (10)
#define MICROPY_HW_WIFI_SPI_ID (1)
#define MICROPY_HW_WIFI_SPI_BAUDRATE (8 * 1000 * 1000)
#define MICROPY_HW_PIN_EXT_COUNT (7)
#define MICROPY_HW_ADC_EXT_COUNT (4)
