package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/disk"
)

// lastSuccess is the metric that a failure takes over from the file of the run before.
const lastSuccess = "sluice_last_success_timestamp_seconds"

// writeMetrics replaces the file of --metrics, in the text format of Prometheus, as the textfile
// collector of node_exporter reads it. DEST as it was given is the label: with its date replaced
// it would name another series each day.
func (c *config) writeMetrics(o report, now time.Time) error {
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(c.given)
	success := now.Unix()
	if o.Exit != exitDone {
		var err error
		if success, err = readLastSuccess(c.metrics, label); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for _, m := range []struct {
		name, help string
		value      float64
	}{
		{"sluice_exit_status", "Exit status of the last run.", float64(o.Exit)},
		{"sluice_file_bytes", "Size of the file stored by the last run, 0 if it failed.", float64(o.Size)},
		{"sluice_source_bytes", "Bytes read by the last run.", float64(o.SourceBytes)},
		{"sluice_stored_bytes", "Bytes that the store acknowledged in the last run.", float64(o.StoredBytes)},
		{"sluice_parts", "Parts of the file stored by the last run.", float64(o.Parts)},
		{"sluice_retries", "Attempts repeated by the last run.", float64(o.Retries)},
		{"sluice_duration_seconds", "Duration of the last run.", o.Seconds},
		{"sluice_last_run_timestamp_seconds", "Time at which the last run ended.", float64(now.Unix())},
		{lastSuccess, "Time at which the last successful run ended, 0 if there was none.", float64(success)},
	} {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s{destination=\"%s\"} %s\n",
			m.name, m.help, m.name, m.name, label, strconv.FormatFloat(m.value, 'f', -1, 64))
	}
	return replaceFile(c.metrics, 0o644, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

// maxMetrics is how much of a file of metrics is read, in bytes. Ours has some two thousand.
const maxMetrics = 1 << 20

// readLastSuccess returns the time of the last success that a file of metrics has, else 0. A file
// that may be another user's says nothing.
func readLastSuccess(path, label string) (int64, error) {
	folder, name, err := openParent(path)
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	f, err := folder.OpenOwn(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, disk.ErrForeign) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return lastSuccessIn(io.LimitReader(f, maxMetrics), label)
}

// lastSuccessIn returns the time of the last success that metrics have, else 0. Damaged ones say
// nothing, so that the failure of this run is written nevertheless.
func lastSuccessIn(metrics io.Reader, label string) (int64, error) {
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), lastSuccess+`{destination="`+label+`"} `); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return 0, nil
			}
			return n, nil
		}
	}
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return 0, err
	}
	return 0, nil
}
