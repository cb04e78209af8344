// Package size reads and writes byte counts the way people do, and reckons with
// those that stores answer, which may be anything.
package size

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units from the largest; binary before decimal, so that 1 MiB is not written as 1.0 MB.
var units = []struct {
	name   string
	factor int64
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"kB", 1e3},
}

// Format writes n as "64 MiB" where a binary unit divides it into a number of few digits, else as
// Decimal does. It suits memory and parts of it.
func Format(n int64) string {
	for _, u := range units {
		if u.factor&(u.factor-1) == 0 && n%u.factor == 0 && n/u.factor > 0 && n/u.factor < 10_000 {
			return fmt.Sprintf("%d %s", n/u.factor, u.name)
		}
	}
	return Decimal(n)
}

// Decimal writes n in decimal units, cut (not rounded) after the first digit
// behind the point: "603.9 GB" is never more than n. It suits lengths of
// streams and files.
func Decimal(n int64) string {
	for _, u := range units {
		if u.factor&(u.factor-1) != 0 && n >= u.factor {
			tenths := n / (u.factor / 10)
			if tenths%10 == 0 {
				return fmt.Sprintf("%d %s", tenths/10, u.name)
			}
			return fmt.Sprintf("%d.%d %s", tenths/10, tenths%10, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Parse reads "5000000", "16MiB", "1.5 GB", "64k". Units: k, M, G, T (and kB,
// MB, …) are decimal, Ki, Mi, Gi, Ti (and KiB, …) binary; case does not matter.
// Negative sizes and those over 2^63-1 are refused.
func Parse(s string) (int64, error) {
	text := strings.TrimSpace(s)
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	number, unit := text[:end], strings.ToLower(strings.TrimSpace(text[end:]))
	factor := int64(1)
	if unit != "" && unit != "b" {
		factor = 0
		for _, u := range units {
			name := strings.ToLower(u.name)
			if unit == name || unit+"b" == name {
				factor = u.factor
			}
		}
		if factor == 0 {
			return 0, fmt.Errorf("size %q: unknown unit %q (use k, M, G, T, KiB, MiB, GiB or TiB)", s, unit)
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/factor {
			return 0, fmt.Errorf("size %q is over %d bytes", s, int64(math.MaxInt64))
		}
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("size %q is not a number with a unit, like 16MiB", s)
	}
	if f *= float64(factor); f >= math.MaxInt64 {
		return 0, fmt.Errorf("size %q is over %d bytes", s, int64(math.MaxInt64))
	}
	return int64(f), nil
}

// Add returns a + b, or the nearest int64 to it.
func Add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// Mul returns a * b for numbers that are not negative, or the largest int64.
func Mul(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// Nearest returns the int64 nearest to f, 0 for what is no number. Go leaves open
// what the conversion of one out of range is.
func Nearest(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	case f != f:
		return 0
	}
	return int64(f)
}
