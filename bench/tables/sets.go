package tables

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cipherpoint/model/dataset"
)

// All lists the data sets.
func All() []*Set {
	return []*Set{
		{Name: "adult", Predicts: "income above 50,000 dollars", Unbalanced: true, Divisions: 2, HeldOut: 1.0 / 3,
			columns: list("age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain capital-loss hours-per-week native-country"),
			read:    readAdult},
		{Name: "credit-default", Predicts: "default of a card's holder next month", Unbalanced: true, Divisions: 2, HeldOut: 0.2,
			columns: list("limit sex education marriage age pay-1 pay-2 pay-3 pay-4 pay-5 pay-6 bill-1 bill-2 bill-3 bill-4 bill-5 bill-6 paid-1 paid-2 paid-3 paid-4 paid-5 paid-6"),
			read: readTable(csvFile{name: "UCI_Credit_Card.csv", header: true}, func(row []string) []string {
				return coded(classes(row, map[string]string{"0": "paid", "1": "default"}), 1, 2, 3)
			})},
		{Name: "german-credit", Predicts: "bad risk of a loan", Unbalanced: true, Divisions: 5, HeldOut: 0.3,
			columns: list("account months history purpose amount savings employment rate status debtors residence property age plans housing credits job dependants telephone foreign"),
			read: readTable(csvFile{name: "german.csv"}, func(row []string) []string {
				return classes(row, map[string]string{"1": "good", "2": "bad"})
			})},
		{Name: "heart-disease", Predicts: "narrowed coronary vessels", Divisions: 5, HeldOut: 0.3,
			columns: list("age sex chest-pain pressure cholesterol sugar ecg rate angina oldpeak slope vessels thal"),
			read: readTable(csvFile{name: "processed.cleveland.data", missing: "?"}, func(row []string) []string {
				if last := len(row) - 1; row[last] != "0" {
					row[last] = "1" // four grades
				}
				return coded(classes(row, map[string]string{"0": "healthy", "1": "disease"}), 2, 6, 10, 12)
			})},
		{Name: "creditcard-fraud-sample", Predicts: "fraud", Unbalanced: true, Divisions: 5, HeldOut: 0.3,
			columns: func() []string { return append(append([]string{"time"}, numbered("v", 28)...), "amount") },
			read: readTable(csvFile{name: "creditcard_undersampled.csv", header: true}, func(row []string) []string {
				return classes(row[1:], map[string]string{"0": "normal", "1": "fraud"}) // without the running index
			})},
		{Name: "wine-quality", Predicts: "grade by tasters, 0 to 10", Regression: true, Divisions: 5, HeldOut: 0.2,
			columns: list("acidity volatile-acidity citric-acid sugar chlorides free-so2 total-so2 density ph sulphates alcohol colour"),
			read: func(dir string, to emit) error {
				for _, colour := range []string{"red", "white"} {
					read := readTable(csvFile{name: "winequality-" + colour + ".csv"}, func(row []string) []string {
						last := len(row) - 1
						return append(row[:last:last], colour, row[last])
					})
					if err := read(dir, to); err != nil {
						return err
					}
				}
				return nil
			}},
		{Name: "california-housing", Predicts: "median value of houses in a block, dollars", Regression: true, Divisions: 2, HeldOut: 0.2,
			columns: list("longitude latitude age rooms bedrooms population households income ocean"),
			read: readTable(csvFile{name: "housing.csv", header: true}, func(row []string) []string {
				row[8], row[9] = row[9], row[8]
				return row
			})},
		{Name: "diabetes-regression", Predicts: "progression of the disease after a year, 25 to 346", Regression: true, Divisions: 5, HeldOut: 0.25,
			columns: list("age sex bmi bp s1 s2 s3 s4 s5 s6"),
			read: readTable(csvFile{name: "diabetes.tab.txt", header: true, comma: '\t'}, func(row []string) []string {
				return coded(row, 1)
			})},
		{Name: "sentiment-labelled", Predicts: "favour of a sentence of a review", Divisions: 5, HeldOut: 0.2, Text: true,
			columns: list("sentence"), read: readSentences},
		{Name: "fashion-mnist", Predicts: "kind of garment, of ten", Image: []int{1, 28, 28},
			columns: func() []string { return numbered("p", 28*28) }, read: readImages},
	}
}

func list(names string) func() []string {
	return func() []string { return strings.Fields(names) }
}

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = prefix + strconv.Itoa(i+1)
	}
	return names
}

// csvFile is how a published file is written.
type csvFile struct {
	name    string
	header  bool
	comma   rune
	missing string
}

// rows reads all of a file without its header; blank lines and spaces about fields do not count.
func (f csvFile) rows(dir string) ([][]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, f.name))
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(data))
	if f.comma != 0 {
		r.Comma = f.comma
	}
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if f.header && len(rows) > 0 {
		rows = rows[1:]
	}
	for _, row := range rows {
		for k, field := range row {
			if field = strings.TrimSpace(field); f.missing != "" && field == f.missing {
				field = ""
			}
			row[k] = field
		}
	}
	return rows, nil
}

// readTable reads a file whose rows a function brings into the order and the words of the columns.
func readTable(f csvFile, change func(row []string) []string) func(string, emit) error {
	return func(dir string, to emit) error {
		rows, err := f.rows(dir)
		if err != nil {
			return err
		}
		for i, row := range rows {
			row = change(row)
			if row[len(row)-1] == "" {
				return fmt.Errorf("%s: row %d has no target that is known", f.name, i+1)
			}
			if err := to(byHash, row); err != nil {
				return err
			}
		}
		return nil
	}
}

// classes puts the name of the class, the last field, in the place of its code.
func classes(row []string, names map[string]string) []string {
	row[len(row)-1] = names[row[len(row)-1]]
	return row
}

// coded marks the fields whose numbers are names: 3 and 3.0 become code3.
func coded(row []string, columns ...int) []string {
	for _, k := range columns {
		if row[k] != "" {
			row[k] = "code" + strings.TrimSuffix(row[k], ".0")
		}
	}
	return row
}

func readAdult(dir string, to emit) error {
	for _, name := range []string{"adult.data", "adult.test"} {
		rows, err := csvFile{name: name, missing: "?"}.rows(dir)
		if err != nil {
			return err
		}
		for i, row := range rows {
			last := len(row) - 1
			row[last] = map[string]string{"<=50K": "below", ">50K": "above"}[strings.TrimSuffix(row[last], ".")]
			if row[last] == "" {
				return fmt.Errorf("%s: row %d has no target that is known", name, i+1)
			}
			if err := to(byHash, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSentences ends lines at \n alone and takes what stands after the last tab for the label, as the publishers say.
func readSentences(dir string, to emit) error {
	for _, name := range []string{"amazon_cells_labelled.txt", "imdb_labelled.txt", "yelp_labelled.txt"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
			tab := strings.LastIndexByte(line, '\t')
			if tab < 0 {
				return fmt.Errorf("%s: a line has no label", name)
			}
			label := map[string]string{"0": "negative", "1": "positive"}[line[tab+1:]]
			if label == "" {
				return fmt.Errorf("%s: a line has no label that is known", name)
			}
			if err := to(byHash, []string{strings.TrimSpace(line[:tab]), label}); err != nil {
				return err
			}
		}
	}
	return nil
}

// garments are the classes of Fashion-MNIST in the order of their numbers.
var garments = list("t-shirt trouser pullover dress coat sandal shirt sneaker bag boot")()

func readImages(dir string, to emit) error {
	var grey [256]string
	for v := range grey {
		grey[v] = strconv.Itoa(v)
	}
	for p, name := range map[part]string{train: "train", test: "t10k"} {
		images, err := readIDX(filepath.Join(dir, name+"-images-idx3-ubyte.gz"))
		if err != nil {
			return err
		}
		labels, err := readIDX(filepath.Join(dir, name+"-labels-idx1-ubyte.gz"))
		if err != nil {
			return err
		}
		const pixels = 28 * 28
		if len(images.Data) != pixels*len(labels.Data) {
			return errors.New("images and labels do not agree")
		}
		row := make([]string, pixels+1)
		for i, label := range labels.Data {
			if int(label) >= len(garments) {
				return fmt.Errorf("image %d has class %d", i, label)
			}
			for k, v := range images.Data[i*pixels : (i+1)*pixels] {
				row[k] = grey[v]
			}
			row[pixels] = garments[label]
			if err := to(p, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func readIDX(path string) (*dataset.IDX, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return dataset.ReadIDX(f)
}
