package lab

import (
	"cmp"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// Value defines a flag by a function that reads its text.
func Value[T any](flags *flag.FlagSet, name, usage string, parse func(string) (T, error), set func(T)) {
	flags.Func(name, usage, func(text string) error {
		v, err := parse(text)
		if err == nil {
			set(v)
		}
		return err
	})
}

// List reads values between commas.
func List[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(text string) ([]T, error) {
		var all []T
		for field := range strings.SplitSeq(text, ",") {
			v, err := parse(field)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
}

// Number reads a number from least to most.
func Number(least, most int) func(string) (int, error) {
	return within(strconv.Atoi, strconv.Itoa, least, most)
}

// Bytes reads a size from least to most.
func Bytes(least, most int64) func(string) (int64, error) {
	return within(size.Parse, size.Format, least, most)
}

// Duration reads a time from least to most.
func Duration(least, most time.Duration) func(string) (time.Duration, error) {
	return within(time.ParseDuration, time.Duration.String, least, most)
}

func within[T cmp.Ordered](parse func(string) (T, error), show func(T) string, least, most T) func(string) (T, error) {
	return func(text string) (T, error) {
		v, err := parse(text)
		if err == nil && (v < least || v > most) {
			err = fmt.Errorf("%s is not between %s and %s", show(v), show(least), show(most))
		}
		return v, err
	}
}
