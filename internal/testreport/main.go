// Command testreport reads what "go test -json" prints, and says it for people:
// each package as it ends, all that a failing test printed, then what was
// skipped and why, the slowest tests and, with -cover, how much of each package
// the tests ran.
//
//	go test -json -coverpkg=./... -coverprofile=cover.out ./... | go run ./internal/testreport -cover cover.out
//
// It judges nothing: whether the tests passed is the exit status of go test,
// and a shell that pipes sets pipefail.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	cover := flag.String("cover", "", "the coverage profile that the tests leave")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *cover); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
}

// shown is how many of the slowest tests and of the least covered packages are listed.
const shown = 10

func run(in io.Reader, out io.Writer, cover string) error {
	tests, err := read(in, out)
	if err != nil {
		return err
	}
	tests.print(out)
	if cover == "" {
		return nil
	}
	profile, err := os.Open(cover)
	if err != nil {
		return err
	}
	defer profile.Close()
	packages, err := coverage(profile)
	if err != nil {
		return err
	}
	packages.print(out)
	return nil
}
