package keystore

import (
	"fmt"
	"strings"
	"time"
)

// The limits that apply where none are given.
const (
	DefaultMaxSize        = 256 << 20
	DefaultUploadLifetime = time.Hour
)

// Limits bound what a store takes and for how long it keeps it. All processes that share a store use the same.
type Limits struct {
	// MaxSize is the largest size of a key in bytes; 0 means DefaultMaxSize.
	MaxSize int64
	// KeyLifetime is the time since its last use after which a sealed key disappears; 0 means never.
	KeyLifetime time.Duration
	// UploadLifetime is the time since its last piece after which an upload that was not sealed disappears;
	// 0 means DefaultUploadLifetime.
	UploadLifetime time.Duration
}

// Complete returns the limits with the defaults filled in, or an error that names the value that makes no sense.
func (l Limits) Complete() (Limits, error) {
	switch {
	case l.MaxSize < 0:
		return Limits{}, fmt.Errorf("%w: negative maximum size", ErrInvalid)
	case l.KeyLifetime < 0:
		return Limits{}, fmt.Errorf("%w: negative key lifetime", ErrInvalid)
	case l.UploadLifetime < 0:
		return Limits{}, fmt.Errorf("%w: negative upload lifetime", ErrInvalid)
	}
	if l.MaxSize == 0 {
		l.MaxSize = DefaultMaxSize
	}
	if l.UploadLifetime == 0 {
		l.UploadLifetime = DefaultUploadLifetime
	}
	return l, nil
}

// CheckUpload returns ErrInvalid or ErrTooLarge for an announcement that no store with these limits may take.
func (l Limits) CheckUpload(u Upload) error {
	switch {
	case u.Size < 1:
		return fmt.Errorf("%w: size must be at least 1 byte", ErrInvalid)
	case len(u.KeySet) > MaxKeySet:
		return fmt.Errorf("%w: key set longer than %d bytes", ErrInvalid, MaxKeySet)
	case u.Size > l.MaxSize:
		return fmt.Errorf("%w: at most %d bytes", ErrTooLarge, l.MaxSize)
	}
	return nil
}

// CheckPiece returns ErrInvalid for a piece that has no place in the upload. It cannot overflow.
func (u Upload) CheckPiece(offset int64, length int) error {
	switch {
	case length == 0:
		return fmt.Errorf("%w: empty piece", ErrInvalid)
	case offset < 0 || offset > u.Size || int64(length) > u.Size-offset:
		return fmt.Errorf("%w: piece reaches beyond the announced size", ErrInvalid)
	}
	return nil
}

// CheckUID returns ErrInvalid unless uid is a random (version 4) UUID in its canonical form: 36 characters, lower case.
// Only then may it become part of a path or of the name of a record.
func CheckUID(uid string) error {
	if len(uid) != 36 {
		return errUID
	}
	for i := range len(uid) {
		c := uid[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return errUID
			}
		case 14:
			if c != '4' {
				return errUID
			}
		case 19:
			if c != '8' && c != '9' && c != 'a' && c != 'b' {
				return errUID
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return errUID
			}
		}
	}
	return nil
}

var errUID = fmt.Errorf("%w: uid is not a lower-case UUIDv4", ErrInvalid)

// CheckClaim returns ErrInvalid for a claim that makes no sense.
func CheckClaim(owner, uid string, limit int) error {
	if len(owner) == 0 || len(owner) > MaxOwner || strings.Trim(owner, "0123456789abcdef") != "" || limit < 1 {
		return fmt.Errorf("%w: owner or limit of a claim", ErrInvalid)
	}
	return CheckUID(uid)
}
