package b2backend

import "time"

// fileObject is a file as all calls answer it (recorded). Fields of no use here are left out.
type fileObject struct {
	Action                string            `json:"action"` // "start", "upload", "copy", "hide", "folder"
	ContentLength         int64             `json:"contentLength"`
	ContentSHA1           string            `json:"contentSha1"` // hex, "none", or "unverified:" and hex
	ContentType           string            `json:"contentType"`
	FileID                string            `json:"fileId"`
	FileInfo              map[string]string `json:"fileInfo"`
	FileName              string            `json:"fileName"`
	FileRetention         retentionSetting  `json:"fileRetention"`
	LegalHold             legalHoldSetting  `json:"legalHold"`
	ServerSideEncryption  encryptionObject  `json:"serverSideEncryption"`
	UploadTimestampMillis int64             `json:"uploadTimestamp"`
}

func (f *fileObject) uploaded() time.Time { return time.UnixMilli(f.UploadTimestampMillis) }

// partObject is a part as b2_upload_part, b2_copy_part and b2_list_parts answer it.
type partObject struct {
	ContentLength int64  `json:"contentLength"`
	ContentSHA1   string `json:"contentSha1"`
	FileID        string `json:"fileId"`
	PartNumber    int    `json:"partNumber"`
	Uploaded      int64  `json:"uploadTimestamp"` // in milliseconds
}

// retentionSetting is a value that the key may not be allowed to read.
type retentionSetting struct {
	Readable bool             `json:"isClientAuthorizedToRead"`
	Value    *retentionObject `json:"value"`
}

type retentionObject struct {
	Mode            string `json:"mode"`
	RetainUntilTime int64  `json:"retainUntilTimestamp"` // ms
}

type legalHoldSetting struct {
	Readable bool   `json:"isClientAuthorizedToRead"`
	Value    string `json:"value"` // "on", "off" or null
}

type encryptionObject struct {
	Algorithm      string `json:"algorithm,omitempty"`
	CustomerKey    string `json:"customerKey,omitempty"`
	CustomerKeyMD5 string `json:"customerKeyMd5,omitempty"`
	Mode           string `json:"mode,omitempty"`
}

// The requests, in the order of their use. Optional fields are left out where they are not set.
type (
	listBucketsRequest struct {
		AccountID  string `json:"accountId"`
		BucketName string `json:"bucketName"`
	}
	listBucketsAnswer struct {
		Buckets []struct {
			BucketID   string `json:"bucketId"`
			BucketName string `json:"bucketName"`
			FileLock   struct {
				Value struct {
					Enabled bool `json:"isFileLockEnabled"`
				} `json:"value"`
			} `json:"fileLockConfiguration"`
			Encryption struct {
				Value encryptionObject `json:"value"`
			} `json:"defaultServerSideEncryption"`
		} `json:"buckets"`
	}

	bucketRequest struct {
		BucketID string `json:"bucketId"`
	}
	fileRequest struct {
		FileID string `json:"fileId"`
	}
	uploadURLAnswer struct {
		AuthorizationToken string `json:"authorizationToken"`
		UploadURL          string `json:"uploadUrl"`
	}

	startRequest struct {
		BucketID              string            `json:"bucketId"`
		FileName              string            `json:"fileName"`
		ContentType           string            `json:"contentType"`
		FileInfo              map[string]string `json:"fileInfo,omitempty"`
		FileRetention         *retentionObject  `json:"fileRetention,omitempty"`
		LegalHold             LegalHold         `json:"legalHold,omitempty"`
		ServerSideEncryption  *encryptionObject `json:"serverSideEncryption,omitempty"`
		CustomUploadTimestamp int64             `json:"customUploadTimestamp,omitempty"`
	}

	finishRequest struct {
		FileID        string   `json:"fileId"`
		PartSHA1Array []string `json:"partSha1Array"`
	}

	listPartsRequest struct {
		FileID          string `json:"fileId"`
		StartPartNumber int    `json:"startPartNumber,omitempty"`
		MaxPartCount    int    `json:"maxPartCount"`
	}
	listPartsAnswer struct {
		Parts          []partObject `json:"parts"`
		NextPartNumber *int         `json:"nextPartNumber"`
	}

	listUnfinishedRequest struct {
		BucketID     string `json:"bucketId"`
		NamePrefix   string `json:"namePrefix,omitempty"`
		StartFileID  string `json:"startFileId,omitempty"`
		MaxFileCount int    `json:"maxFileCount"`
	}
	listVersionsRequest struct {
		BucketID      string `json:"bucketId"`
		StartFileName string `json:"startFileName"`
		StartFileID   string `json:"startFileId,omitempty"`
		Prefix        string `json:"prefix"`
		MaxFileCount  int    `json:"maxFileCount"`
	}
	listFilesAnswer struct {
		Files        []fileObject `json:"files"`
		NextFileID   string       `json:"nextFileId"`
		NextFileName string       `json:"nextFileName"`
	}

	copyPartRequest struct {
		SourceFileID          string            `json:"sourceFileId"`
		LargeFileID           string            `json:"largeFileId"`
		PartNumber            int               `json:"partNumber"`
		Range                 string            `json:"range,omitempty"`
		SourceEncryption      *encryptionObject `json:"sourceServerSideEncryption,omitempty"`
		DestinationEncryption *encryptionObject `json:"destinationServerSideEncryption,omitempty"`
	}
	copyFileRequest struct {
		SourceFileID          string            `json:"sourceFileId"`
		DestinationBucketID   string            `json:"destinationBucketId"`
		FileName              string            `json:"fileName"`
		Range                 string            `json:"range,omitempty"`
		MetadataDirective     string            `json:"metadataDirective"`
		ContentType           string            `json:"contentType,omitempty"`
		FileInfo              map[string]string `json:"fileInfo,omitempty"`
		FileRetention         *retentionObject  `json:"fileRetention,omitempty"`
		LegalHold             LegalHold         `json:"legalHold,omitempty"`
		SourceEncryption      *encryptionObject `json:"sourceServerSideEncryption,omitempty"`
		DestinationEncryption *encryptionObject `json:"destinationServerSideEncryption,omitempty"`
	}
)

// secretsOf is what must be cut from errors of a call that carries a customer's key.
func secretsOf(request any) []string {
	var secrets []string
	add := func(e *encryptionObject) {
		if e != nil && e.CustomerKey != "" {
			secrets = append(secrets, e.CustomerKey)
		}
	}
	switch r := request.(type) {
	case startRequest:
		add(r.ServerSideEncryption)
	case copyPartRequest:
		add(r.SourceEncryption)
		add(r.DestinationEncryption)
	case copyFileRequest:
		add(r.SourceEncryption)
		add(r.DestinationEncryption)
	}
	return secrets
}
