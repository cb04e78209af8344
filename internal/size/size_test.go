package size

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{
		0:                  "0 bytes",
		999:                "999 bytes",
		1024:               "1 KiB",
		5_000_000:          "5 MB",
		128 << 20:          "128 MiB",
		1 << 30:            "1 GiB",
		603_979_776_000:    "603.9 GB",
		10_000_000_000_000: "10 TB",
		1_999_999:          "1.9 MB",
	} {
		require.Equal(t, want, Format(n))
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "5000000": 5_000_000, "16MiB": 16 << 20, "16 mi": 16 << 20, "1GB": 1e9, "1g": 1e9,
		"64k": 64_000, "1.5 KiB": 1536, "2TiB": 2 << 40, "7b": 7,
	} {
		got, err := Parse(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
}

func TestParseRefusesWhatIsNoSize(t *testing.T) {
	for _, s := range []string{"", "-1", "x", "1x", "1..5", "MiB", "9223372036854775808", "9e9", "8388608TiB", "9999999.9TiB"} {
		_, err := Parse(s)
		require.ErrorContains(t, err, "size", s)
	}
}
