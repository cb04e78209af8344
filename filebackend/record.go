package filebackend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
)

// A record is a text file beside the data of an unfinished large file: a line
// of JSON that says what the file is to be, and a line for everything that
// happened to its parts. A line counts when its line feed is written, so a last
// line that a crash has cut short says nothing.

// version is of the form of records.
const version = 1

type header struct {
	Version int `json:"sluice"`
	// the last element; the folder is where the record lies
	Name        string            `json:"name"`
	Size        int64             `json:"size"`
	ContentType string            `json:"content_type,omitempty"`
	Info        map[string]string `json:"info,omitempty"`
	Started     time.Time         `json:"started"`
}

func (h header) spec(name string) sluice.FileSpec {
	return sluice.FileSpec{Name: name, Size: h.Size, ContentType: h.ContentType, Metadata: h.Info}
}

// event is any other line; just one of Part, Dropped and Resumed is set.
type event struct {
	Part   int    `json:"part,omitempty"` // is stored
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size,omitempty"`
	CRC32C string `json:"crc32c,omitempty"`
	// Stored is when. Records of earlier versions do not say.
	Stored time.Time `json:"stored,omitzero"`

	Dropped []int `json:"dropped,omitempty"` // parts that are about to be written over
	// by another handle: those before it have lost the file
	Resumed *time.Time `json:"resumed,omitempty"`
}

func storedEvent(e extent) event {
	return event{Part: e.number, Offset: e.offset, Size: e.size, CRC32C: fmt.Sprintf("%08x", e.sum), Stored: e.stored}
}

func encode(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	return append(line, '\n'), err
}

// maxRecord is the largest record that is read, in bytes: of 100,000 parts it has
// some fifteen million.
const maxRecord = 64 << 20

// readRecord reads a record: the first line, which has size bytes, and the lines
// after it. The error is errGone if the start of the file was cut short.
func readRecord(f *os.File) (h header, rest []byte, size int64, err error) {
	record, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(record) > maxRecord {
		err = fmt.Errorf("the record has more than %d bytes", maxRecord)
	}
	ok := false
	if err == nil {
		h, rest, ok, err = parseHeader(record)
	}
	if err == nil && !ok {
		err = errGone
	}
	return h, rest, int64(len(record) - len(rest)), err
}

// parseHeader reads the first line. It is false if a crash has cut that short.
func parseHeader(record []byte) (h header, rest []byte, ok bool, err error) {
	line, rest, ok := bytes.Cut(record, []byte{'\n'})
	if !ok {
		return h, nil, false, nil
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, false, fmt.Errorf("line 1 of the record is damaged: %w", err)
	}
	if h.Name != path.Base(h.Name) {
		return h, nil, false, fmt.Errorf("line 1 of the record is damaged: the name %.100q is no element of a path", h.Name)
	}
	h.Size = max(h.Size, sluice.UnknownSize)
	h.Started = printable.Time(h.Started)
	if h.Version != version {
		return h, nil, false, fmt.Errorf("the record has version %d, known is %d", h.Version, version)
	}
	return h, rest, true, nil
}

// replay reads the lines after the first into a layout. size is the bytes of whole lines.
func replay(lines []byte) (l layout, size int64, err error) {
	for n := 2; ; n++ {
		line, rest, ok := bytes.Cut(lines, []byte{'\n'})
		if !ok {
			return l, size, nil
		}
		var e event
		err := json.Unmarshal(line, &e)
		if err == nil {
			err = e.apply(&l)
		}
		if err != nil {
			return l, size, fmt.Errorf("line %d of the record is damaged: %w", n, err)
		}
		size += int64(len(line)) + 1
		lines = rest
	}
}

func (e event) apply(l *layout) error {
	l.drop(e.Dropped)
	if e.Part == 0 {
		return nil
	}
	sum, err := strconv.ParseUint(e.CRC32C, 16, 32)
	if err != nil {
		return err
	}
	part := extent{number: e.Part, offset: e.Offset, size: e.Size, sum: uint32(sum), stored: printable.Time(e.Stored), unread: true}
	if e.Part < 1 || e.Offset < 0 || e.Size < 1 || part.end() < 0 {
		return fmt.Errorf("part %d at byte %d with %d bytes", e.Part, e.Offset, e.Size)
	}
	if others := l.replaced(part); len(others) > 0 {
		return fmt.Errorf("part %d lies over the parts %v", e.Part, others)
	}
	l.store(part)
	return nil
}
