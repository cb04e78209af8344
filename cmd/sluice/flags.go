package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice/internal/size"
)

// value is a flag that takes a value. kind is what help calls the value.
type value struct {
	kind string
	set  func(string) error
	text string // as given
}

func (v *value) Type() string   { return v.kind }
func (v *value) String() string { return v.text }

func (v *value) Set(s string) error {
	v.text = s
	return v.set(s)
}

// addValue adds a flag whose value set reads.
func addValue(fs *pflag.FlagSet, name, kind string, set func(string) error, usage string) *pflag.Flag {
	return fs.VarPF(&value{kind: kind, set: set}, name, "", usage)
}

// setText takes a value as it is.
func setText(to *string) func(string) error {
	return func(s string) error {
		*to = s
		return nil
	}
}

// setMore takes each value of a flag that may be given several times.
func setMore(to *[]string) func(string) error {
	return func(s string) error {
		*to = append(*to, s)
		return nil
	}
}

// setFrom reads a number of bytes that may be 0.
func setFrom(to *int64) func(string) error {
	return func(s string) (err error) {
		*to, err = size.Parse(s)
		return err
	}
}

// setSize reads a number of bytes, at least one.
func setSize(to *int64) func(string) error {
	return func(s string) error {
		n, err := size.Parse(s)
		if err == nil && n < 1 {
			err = errors.New("must be at least 1 byte")
		}
		*to = n
		return err
	}
}

// setCount reads a number that is not negative.
func setCount(to *int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return errors.New("must be a number that is not negative")
		}
		*to = n
		return nil
	}
}

// setStatuses reads exit statuses of failures.
func setStatuses(to *[]int) func(string) error {
	return func(s string) error {
		for text := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 255 {
				return errors.New("must be exit statuses from 1 to 255, separated by commas")
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// setMoment reads a moment: RFC 3339, or a date, which begins in the local time zone.
func setMoment(to *time.Time) func(string) error {
	return func(s string) error {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t, err = time.ParseInLocation(time.DateOnly, s, time.Local)
		}
		if err != nil {
			return errors.New("must be a time such as 2027-01-31 or 2027-01-31T00:00:00Z")
		}
		*to = t
		return nil
	}
}

// setAge reads a length of time.
func setAge(to *time.Duration) func(string) error {
	return func(s string) (err error) {
		*to, err = parseAge(s)
		return err
	}
}

// parseAge reads a length of time as package time does, or in days: 36h, 30d.
func parseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(min(n, 100_000)) * day
	}
	if err != nil || d < 0 {
		return 0, errors.New("must be a length of time such as 36h or 30d")
	}
	return d, nil
}

// setChoice takes one of the values of choices, which are separated by |.
func setChoice(to *string, choices string) func(string) error {
	return func(s string) error {
		for choice := range strings.SplitSeq(choices, "|") {
			if s == choice {
				*to = s
				return nil
			}
		}
		return fmt.Errorf("must be %s", strings.ReplaceAll(choices, "|", " or "))
	}
}

// setPair adds KEY=VALUE to a map.
func setPair(to map[string]string) func(string) error {
	return func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		switch _, twice := to[key]; {
		case !ok || key == "":
			return errors.New("must be KEY=VALUE")
		case twice:
			return fmt.Errorf("key %q is given twice", key)
		}
		to[key] = value
		return nil
	}
}

// setDigest reads a digest of n bytes.
func setDigest(to *[]byte, n int) func(string) error {
	return func(s string) error {
		sum, err := hex.DecodeString(s)
		if err != nil || len(sum) != n {
			return fmt.Errorf("must be %d hexadecimal digits", 2*n)
		}
		*to = sum
		return nil
	}
}
