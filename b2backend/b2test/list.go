package b2test

import "strings"

// getFileInfo answers one version. An unfinished large file is no version yet;
// whether that is a 404 or a 400 is uncertain.
func (x *exchange) getFileInfo() (any, error) {
	id := x.args.required("fileId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	f, err := x.s.version(id)
	if err != nil {
		return nil, err
	}
	if err := x.token.key.mayTouch(f); err != nil {
		return nil, err
	}
	return x.fileObject(f), nil
}

// version finds a version that is not an unfinished large file. The lock is held.
func (s *Server) version(id string) (*file, error) {
	if !fileIDPattern.MatchString(id) {
		return nil, badRequest("Bad file id: %s", id)
	}
	f := s.files[id]
	switch {
	case f == nil, f.action == actionStart && !s.opts.Uncertain.FileInfo400:
		return nil, errNotFound("file " + id)
	case f.action == actionStart:
		return nil, badRequest("File is not finished: %s", id)
	}
	return f, nil
}

// listUnfinished answers a bucket's unfinished large files, oldest first, from
// startFileId on. The null nextFileName is recorded, and not documented.
func (x *exchange) listUnfinished() (any, error) {
	a := x.args
	bucketID, prefix, from := a.required("bucketId"), a.optional("namePrefix"), a.optional("startFileId")
	most := a.number("maxFileCount", 100, 1, 100) // documented; one passage implies up to 1000
	if err := a.done(); err != nil {
		return nil, err
	}
	if from != "" && !fileIDPattern.MatchString(from) {
		return nil, errInvalidFileID(from)
	}
	b, err := x.bucketUnder(bucketID, prefix)
	if err != nil {
		return nil, err
	}
	found := x.s.unfinished(b)
	if from != "" {
		if found, err = x.s.from(from, found, oldestFirst); err != nil {
			return nil, err
		}
	}
	files := list{}
	var next any
	for _, f := range found {
		if !strings.HasPrefix(f.name, prefix) {
			continue
		}
		if int64(len(files)) == most {
			next = f.id
			break
		}
		files = append(files, x.listedObject(f))
	}
	return object{"files": files, "nextFileId": next, "nextFileName": nil}, nil
}

// bucketUnder is bucketFor, for files under a prefix; a key with a prefix must
// ask for one at least as narrow (documented).
func (x *exchange) bucketUnder(id, prefix string) (*bucket, error) {
	b, err := x.bucketFor(id)
	if err == nil && !x.token.key.mayName(prefix) {
		return nil, errUnauthorized()
	}
	return b, err
}

// page is what the two calls that list files have in common.
type page struct {
	bucket            *bucket
	prefix, delimiter string
	from, fromID      string
	most              int64
}

func (x *exchange) listPage(versions bool) (page, error) {
	a := x.args
	bucketID := a.required("bucketId")
	p := page{
		prefix: a.optional("prefix"), delimiter: a.optional("delimiter"),
		from: a.optional("startFileName"), most: a.number("maxFileCount", 100, 0, 10_000),
	}
	if p.most == 0 {
		p.most = 100
	}
	if versions {
		p.fromID = a.optional("startFileId")
		switch {
		case p.fromID != "" && p.from == "":
			a.fail(badRequest("startFileId needs a startFileName"))
		case p.fromID != "" && !fileIDPattern.MatchString(p.fromID):
			a.fail(badCode("invalid_file_id", "Invalid fileId: %s", p.fromID))
		}
	}
	err := a.done()
	if err == nil {
		p.bucket, err = x.bucketUnder(bucketID, p.prefix)
	}
	return p, err
}

// listFileNames answers the newest version of each name, unless that is a hide marker.
func (x *exchange) listFileNames() (any, error) {
	p, err := x.listPage(false)
	if err != nil {
		return nil, err
	}
	var visible []*file
	last := ""
	for _, f := range x.s.versions(p.bucket) {
		if f.action == actionStart || f.name == last {
			continue
		}
		last = f.name
		if f.action != actionHide {
			visible = append(visible, f)
		}
	}
	files, next := x.list(p, visible)
	answer := object{"files": files, "nextFileName": nil}
	if next != nil {
		answer["nextFileName"] = next.name
	}
	return answer, nil
}

// listFileVersions answers all versions by name, newest first, with hide
// markers and unfinished large files.
func (x *exchange) listFileVersions() (any, error) {
	p, err := x.listPage(true)
	if err != nil {
		return nil, err
	}
	all := x.s.versions(p.bucket)
	if p.fromID != "" {
		if all, err = x.s.from(p.fromID, all, byName); err != nil {
			return nil, err
		}
	}
	files, next := x.list(p, all)
	answer := object{"files": files, "nextFileId": nil, "nextFileName": nil}
	if next != nil {
		answer["nextFileId"], answer["nextFileName"] = next.id, next.name
	}
	return answer, nil
}

// list answers a page of sorted, and the first file beyond it. Names that go on
// after the delimiter become one folder.
func (x *exchange) list(p page, sorted []*file) (list, *file) {
	files := list{}
	folder := ""
	for _, f := range sorted {
		rest, ok := strings.CutPrefix(f.name, p.prefix)
		if !ok || f.name < p.from || folder != "" && strings.HasPrefix(f.name, folder) {
			continue
		}
		if int64(len(files)) == p.most {
			return files, f
		}
		folder = ""
		if head, _, cut := strings.Cut(rest, p.delimiter); p.delimiter != "" && cut {
			folder = p.prefix + head + p.delimiter
			files = append(files, x.ofVersion(x.folderObject(p.bucket.ID, folder)))
			continue
		}
		files = append(files, x.ofVersion(x.listedObject(f)))
	}
	return files, nil
}

// listedObject is a file that a list shows.
func (x *exchange) listedObject(f *file) object {
	x.listed = append(x.listed, f)
	return x.fileObject(f)
}

// ofVersion is a file or folder as lists of the request's version show it:
// version 1 says the length as size too, which old clients read (documented).
func (x *exchange) ofVersion(o object) object {
	if x.version == 1 {
		o["size"] = o["contentLength"]
	}
	return o
}

// folderObject stands for all names under a prefix (documented).
func (x *exchange) folderObject(bucketID, name string) object {
	return object{
		"accountId": x.s.account, "action": "folder", "bucketId": bucketID, "contentLength": 0, "contentMd5": nil,
		"contentSha1": nil, "contentType": nil, "fileId": nil, "fileInfo": object{}, "fileName": name,
		"uploadTimestamp": 0,
	}
}
