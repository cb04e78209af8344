package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
)

// ErrForeign is in the error about a file that another user has made, or may
// have changed.
var ErrForeign = errors.New("it may be another user's")

// NewMode is the permissions of a file whose user has not chosen any.
const NewMode fs.FileMode = 0o600

// Folder opens files in a folder that other users may write to.
type Folder struct {
	*os.Root
	made func() made // a file that this user makes, as the file system shows it
}

// NewFolder returns the folder that root is.
func NewFolder(root *os.Root) *Folder {
	f := &Folder{Root: root}
	f.made = sync.OnceValue(f.probe)
	return f
}

// OpenFile opens a file of any size.
func (f *Folder) OpenFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	return f.Root.OpenFile(name, flag|largeFile, mode)
}

// CreateOwn makes a file that only its owner can read and write. What has its
// name is left alone, and the error matches [fs.ErrExist].
func (f *Folder) CreateOwn(name string, flag int) (*os.File, error) {
	return f.OpenFile(name, flag|os.O_RDWR|os.O_CREATE|os.O_EXCL, NewMode)
}

// openTries is how often a file is opened that is replaced meanwhile: another
// process of this user may do so, and another user may go on with it for ever.
const openTries = 100

// OpenOwn opens a file that exists, for reading and writing if flag says so. What
// has its name may be another user's, or a link, device, FIFO or socket: only a
// regular file with one name, which belongs to this user and which no other may
// write to, is opened. It waits for nothing.
func (f *Folder) OpenOwn(name string, flag int) (*os.File, error) {
	for range openTries {
		file, err := f.openOwn(name, flag)
		if file != nil || err != nil {
			return file, err
		}
	}
	return nil, fmt.Errorf("%w: it is replaced again and again", ErrForeign)
}

// openOwn returns nil if the file was replaced while it was opened.
func (f *Folder) openOwn(name string, flag int) (*os.File, error) {
	info, err := f.Lstat(name)
	if err == nil {
		err = f.CheckOwn(info)
	}
	if err != nil {
		return nil, err
	}
	// If a FIFO has taken the name since, it must not wait for its other end.
	file, err := f.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	same := err == nil && os.SameFile(info, opened)
	if same {
		err = f.CheckOwn(opened)
	}
	if err != nil || !same {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// CheckOwn returns why a file may be another user's.
func (f *Folder) CheckOwn(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: it is %s, not a regular file", ErrForeign, Kind(info.Mode()))
	}
	if why := f.unlike(info, foreign); why != "" {
		return fmt.Errorf("%w: %s", ErrForeign, why)
	}
	return nil
}

// Replaced returns the regular file that has the name, nil if there is none.
// Anything else of that name is an error: it is not to be replaced.
func (f *Folder) Replaced(name string) (fs.FileInfo, error) {
	switch info, err := f.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err // it may be too long
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("there is %s of that name, and only a regular file is replaced", Kind(info.Mode()))
	default:
		return info, nil
	}
}

// Kept returns the permissions that a file takes over from the one it replaces,
// which may be nil. It takes none from a file of another user, which may have
// been made to be let into the new one.
func (f *Folder) Kept(replaced fs.FileInfo) (mode fs.FileMode, ok bool) {
	if replaced == nil || f.unlike(replaced, belongs) != "" {
		return 0, false
	}
	return replaced.Mode().Perm(), true
}

// unlike returns how a file is not like one of this user's. Some file systems
// have owners or permissions of their own choice, also for what is made there.
func (f *Folder) unlike(info fs.FileInfo, compare func(fs.FileInfo, made) string) string {
	why := compare(info, made{uid: os.Geteuid(), links: 1})
	if why == "" {
		return ""
	}
	if own := f.made(); own.known && compare(info, own) == "" {
		return ""
	}
	return why
}

// made is the user that a file that was made just now belongs to, which others may write
// to it, and how many names it has.
type made struct {
	uid      int
	writable fs.FileMode
	links    uint64
	known    bool
}

// probe makes a file and looks at it.
func (f *Folder) probe() made {
	name := ".sluice-probe-" + strings.ToLower(rand.Text())
	file, err := f.CreateOwn(name, 0)
	if err != nil {
		return made{}
	}
	defer func() {
		_ = file.Close()
		_ = f.Remove(name)
	}()
	info, err := file.Stat()
	if err != nil {
		return made{}
	}
	o, known := owner(info)
	return made{o.uid, info.Mode() & others, o.links, known}
}

// others is the permission of all but the owner to write.
const others = 0o022

// foreign returns how a file is not like one that this user has made; "" if it
// is, or if the system does not say.
func foreign(info fs.FileInfo, own made) string {
	if why := belongs(info, own); why != "" {
		return why
	}
	switch of, ok := owner(info); {
	case !ok:
		return ""
	case info.Mode()&others&^own.writable != 0:
		return fmt.Sprintf("others may write to it (%v)", info.Mode())
	case of.links > own.links:
		return fmt.Sprintf("it has %d names, and the others may be of another file", of.links)
	}
	return ""
}

// belongs returns how a file is not this user's, as foreign does.
func belongs(info fs.FileInfo, own made) string {
	if of, ok := owner(info); ok && of.uid != own.uid {
		return fmt.Sprintf("it belongs to the user %d, not to %d", of.uid, own.uid)
	}
	return ""
}

// owned is what the system says of a file besides its mode.
type owned struct {
	uid   int
	links uint64
}

// Kind names what is no regular file.
func Kind(mode fs.FileMode) string {
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
