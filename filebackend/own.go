package filebackend

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// errForeign is in the error about a record or data that another user has made,
// or may have changed.
var errForeign = errors.New("it may be another user's")

// openOwn opens a record or data. In a folder that others write to, what has its
// name may be theirs, or a link, device, FIFO or socket: only a regular file of
// this user's own, which no other may write to, is opened.
func (b *Backend) openOwn(name string, flag int) (*os.File, error) {
	info, err := b.root.Lstat(name)
	if err == nil {
		err = b.checkOwn(info)
	}
	if err != nil {
		return nil, err
	}
	// If a FIFO has taken the name since, it must not wait for its other end.
	f, err := b.root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = fmt.Errorf("%w: it was replaced while it was opened", errForeign)
	}
	if err == nil {
		err = b.checkOwn(opened)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkOwn returns why a file may be another user's.
func (b *Backend) checkOwn(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: it is %s, not a regular file", errForeign, kind(info.Mode()))
	}
	why := foreign(info, made{uid: os.Geteuid()})
	if why == "" {
		return nil
	}
	// Some file systems have owners or permissions of their own choice, also
	// for what is made there.
	if own := b.made(); own.known && foreign(info, own) == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", errForeign, why)
}

// made is whom a file that was made just now belongs to, and which others may
// write to it.
type made struct {
	uid      int
	writable fs.FileMode
	known    bool
}

// probe makes a file and looks at it.
func (b *Backend) probe() made {
	name := prefix + newID(b.now())
	f, err := b.create(name)
	if err != nil {
		return made{}
	}
	defer func() {
		_ = f.Close()
		_ = b.root.Remove(name)
	}()
	info, err := f.Stat()
	if err != nil {
		return made{}
	}
	uid, known := owner(info)
	return made{uid, info.Mode() & others, known}
}

// others is the permission of all but the owner to write.
const others = 0o022

// foreign returns how a file is not like one that this user has made; "" if it
// is, or if the system does not say.
func foreign(info fs.FileInfo, own made) string {
	of, ok := owner(info)
	switch {
	case !ok:
		return ""
	case of != own.uid:
		return fmt.Sprintf("it belongs to the user %d, not to %d", of, own.uid)
	case info.Mode()&others&^own.writable != 0:
		return fmt.Sprintf("others may write to it (%v)", info.Mode())
	}
	return ""
}

// kind names what is no regular file.
func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return "an irregular file"
	}
}

// maxRecord is the largest record that is read, in bytes: of 100,000 parts it has
// some fifteen million.
const maxRecord = 64 << 20

// readRecord returns what a record says.
func readRecord(f *os.File) ([]byte, error) {
	record, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(record) > maxRecord {
		err = fmt.Errorf("the record has more than %d bytes", maxRecord)
	}
	return record, err
}
