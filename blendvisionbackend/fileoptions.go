package blendvisionbackend

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/c1508ce4/sluice"
)

// FileOptions are what only this service has.
type FileOptions struct {
	// Type is FILE_TYPE_VIDEO, FILE_TYPE_IMAGE, FILE_TYPE_SUBTITLE,
	// FILE_TYPE_DOCUMENT, FILE_TYPE_WEB_LINK or FILE_TYPE_AUDIO (documented); "" is
	// FILE_TYPE_VIDEO.
	Type string
	// Source is FILE_SOURCE_UPLOAD_IN_LIBRARY, FILE_SOURCE_ADD_VOD,
	// FILE_SOURCE_ADD_AOD, FILE_SOURCE_LIVE_EVENT, FILE_SOURCE_CLOUD_STORAGE_AWS,
	// FILE_SOURCE_STT, FILE_SOURCE_AISK or FILE_SOURCE_GOOGLE_DRIVE (documented); ""
	// is FILE_SOURCE_UPLOAD_IN_LIBRARY.
	Source string
	// Attributes go with every file; of the same name, FileSpec.Metadata holds.
	Attributes map[string]string
}

var (
	fileTypes = []string{
		"FILE_TYPE_VIDEO", "FILE_TYPE_IMAGE", "FILE_TYPE_SUBTITLE", "FILE_TYPE_DOCUMENT", "FILE_TYPE_WEB_LINK",
		"FILE_TYPE_AUDIO",
	}
	fileSources = []string{
		"FILE_SOURCE_UPLOAD_IN_LIBRARY", "FILE_SOURCE_ADD_VOD", "FILE_SOURCE_ADD_AOD", "FILE_SOURCE_LIVE_EVENT",
		"FILE_SOURCE_CLOUD_STORAGE_AWS", "FILE_SOURCE_STT", "FILE_SOURCE_AISK", "FILE_SOURCE_GOOGLE_DRIVE",
	}
)

// withDefaults is a copy of the options without empty fields.
func (o FileOptions) withDefaults() FileOptions {
	o.Type, o.Source = cmp.Or(o.Type, fileTypes[0]), cmp.Or(o.Source, fileSources[0])
	o.Attributes = maps.Clone(o.Attributes)
	return o
}

// describe validates a file, and makes the request that begins it.
func (o *FileOptions) describe(spec sluice.FileSpec) (openFile, error) {
	f := openFile{Type: o.Type, Source: o.Source, Name: spec.Name, Size: integer(spec.Size), Attrs: o.attributes(spec)}
	switch {
	case spec.Size == sluice.UnknownSize:
		return f, fmt.Errorf("%w: the service plans the parts from it", sluice.ErrSizeRequired)
	case spec.Size < 1:
		return f, fmt.Errorf("size %d: the service takes no file of fewer than 1 byte", spec.Size)
	case spec.Size > maxFile:
		return f, fmt.Errorf("size %d is over the service's largest file of %d bytes: %w", spec.Size, int64(maxFile), sluice.ErrTooLarge)
	case spec.Name == "":
		return f, errors.New("the name is empty")
	case !utf8.ValidString(spec.Name):
		return f, fmt.Errorf("name %q is not UTF-8", spec.Name)
	case !slices.Contains(fileTypes, o.Type):
		return f, fmt.Errorf("FileOptions.Type %q is none of %s", o.Type, strings.Join(fileTypes, ", "))
	case !slices.Contains(fileSources, o.Source):
		return f, fmt.Errorf("FileOptions.Source %q is none of %s", o.Source, strings.Join(fileSources, ", "))
	}
	for name, value := range f.Attrs {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return f, fmt.Errorf("attribute %q: %q has no name or is not UTF-8", name, value)
		}
	}
	return f, nil
}

// attributes are those of the handle and of the file.
func (o *FileOptions) attributes(spec sluice.FileSpec) map[string]string {
	if o.Attributes == nil {
		return spec.Metadata
	}
	all := maps.Clone(o.Attributes)
	maps.Copy(all, spec.Metadata)
	return all
}

// ignored returns which option of a file the service did not take over. What its
// answer leaves out is not compared. Values are not shown: they are the server's.
func (f *openFile) ignored(stored *fileAnswer) error {
	what := ""
	for key, value := range f.Attrs {
		if got, ok := stored.File.Attrs[key]; stored.File.Attrs != nil && (!ok || got != value) {
			what = "attributes"
		}
	}
	switch {
	case stored.File.Type != "" && stored.File.Type != f.Type:
		what = "type"
	case stored.File.Source != "" && stored.File.Source != f.Source:
		what = "source"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("%w: the file has another %s than asked for", sluice.ErrOptionIgnored, what)
}
