package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// incoming is a file that is being read from a store. It ends with io.EOF only if all of it came, and has the
// digest that is known of it.
type incoming struct {
	io.ReadCloser
	id     string
	name   string // "": that of DEST
	size   int64  // bytes
	digest string // the algorithm of what is known, "" if nothing is
}

// received is the JSON object of get.
type received struct {
	Destination   string  `json:"destination"`
	Exit          int     `json:"exit"`
	Error         string  `json:"error,omitempty"`
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	Size          int64   `json:"size"`           // of the file in the store
	ReceivedBytes int64   `json:"received_bytes"` // written to standard output
	SHA256        string  `json:"sha256"`         // of the bytes received
	SHA1          string  `json:"sha1"`
	Seconds       float64 `json:"seconds"`
}

func getFlags(r *request, fs *flag.FlagSet) {
	fs.Var(&digestValue{&r.sha256, sha256.Size}, "sha256", "")
	fs.Var(&digestValue{&r.sha1, sha1.Size}, "sha1", "")
}

func checkGet(r *request) error {
	if len(r.ids) > 0 {
		return fmt.Errorf("%q is one argument too many after DEST %q", r.ids[0], r.dest)
	}
	return nil
}

// get writes the file to standard output. An error may come when some of it is written already.
func get(ctx context.Context, r *request, d *destination) error {
	if err := d.named(r.dest); err != nil {
		return err
	}
	o := received{Destination: r.dest, Name: d.name}
	began := time.Now()
	how, err := o.receive(ctx, r, d)
	o.Seconds = time.Since(began).Seconds()
	if err != nil {
		o.Exit, o.Error = exitFailed, err.Error()
	} else if !r.quiet {
		r.console.printf("pipe: %s is read, %s, %.1f s, %s, id %s, sha256 %s", r.dest, size.Decimal(o.Size), o.Seconds, how, o.ID, o.SHA256)
	}
	if r.json { // standard output is the file
		line, jsonErr := json.Marshal(o)
		if jsonErr != nil {
			return errors.Join(err, jsonErr)
		}
		r.console.printf("%s", line)
	}
	return err
}

// receive copies the file, and says how it was checked.
func (o *received) receive(ctx context.Context, r *request, d *destination) (how string, err error) {
	in, err := d.get(ctx, d.name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	o.ID, o.Size, o.Name = in.id, in.size, cmp.Or(in.name, o.Name)
	coming := &arrival{size: in.size, began: time.Now()}
	r.arrival.Store(coming)
	sum256, sum1 := sha256.New(), sha1.New()
	// The writer is hidden, because os.File would read in slices of its own.
	o.ReceivedBytes, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(r.stdout, sum256, sum1, coming, r.outage)}, in, make([]byte, 256<<10))
	got256, got1 := sum256.Sum(nil), sum1.Sum(nil)
	o.SHA256, o.SHA1 = hex.EncodeToString(got256), hex.EncodeToString(got1)
	if f, ok := r.stdout.(*os.File); err == nil && ok {
		err = f.Close() // which may be when the disk turns out to be full
	}
	switch {
	case err != nil:
		return "", err
	case o.ReceivedBytes != in.size:
		return "", fmt.Errorf("%d bytes came, and the file has %d", o.ReceivedBytes, in.size)
	case r.sha256 != nil && !bytes.Equal(r.sha256, got256):
		return "", fmt.Errorf("the bytes have SHA-256 %x, not %x", got256, r.sha256)
	case r.sha1 != nil && !bytes.Equal(r.sha1, got1):
		return "", fmt.Errorf("the bytes have SHA-1 %x, not %x", got1, r.sha1)
	}
	checked := []string{"its length"}
	if in.digest != "" {
		checked = append(checked, "the "+in.digest+" kept with it")
	}
	if r.sha256 != nil || r.sha1 != nil {
		checked = append(checked, "the digest given")
	}
	return "checked by " + strings.Join(checked, " and "), nil
}

// digestValue is a flag of a digest in hex.
type digestValue struct {
	sum  *[]byte
	size int // bytes
}

func (v *digestValue) String() string { return "" }

func (v *digestValue) Set(s string) error {
	sum, err := hex.DecodeString(s)
	if err != nil || len(sum) != v.size {
		return fmt.Errorf("must be %d hexadecimal digits", 2*v.size)
	}
	*v.sum = sum
	return nil
}
