"""The words that columns are called by, in the languages people name them in.

Owns the word lists that ``names`` reads names with: lower case, without accents, as
``names.words`` gives them (``geändert`` is ``geandert``, and some write
``geaendert``). A word here makes a check look at the values; it decides nothing.
"""

from __future__ import annotations

MONEY = frozenset(
    {
        *("price", "prices", "cost", "costs", "salary", "wage", "revenue", "fee"),
        *("fees", "money", "subtotal", "refund", "expense", "earnings", "fare"),
        *("payout", "usd", "eur", "gbp", "chf", "freight", "turnover"),
        *("preis", "preise", "kosten", "gehalt", "betrag", "umsatz", "guthaben"),
        *("lohn", "saldo", "gebuehr", "gebuhr", "kaufpreis", "bruttopreis"),
        *("prix", "montant", "cout", "salaire", "solde", "tarif"),
        *("precio", "importe", "coste", "costo", "monto", "salario", "sueldo"),
        *("prezzo", "prezzi", "spesa", "stipendio", "fatturato"),
        *("prijs", "prijzen", "bedrag", "kosten", "preco", "custo", "pris", "belopp"),
        *("cena", "kwota", "koszt", "цена", "сумма", "стоимость", "价格", "金额"),
    }
)
MAYBE_MONEY = frozenset(
    {
        *("amount", "total", "tax", "vat", "due", "paid", "sum", "net", "gross"),
        *("balance", "payment", "payments", "budget", "deposit", "charge", "profit"),
        *("rent", "spent", "credit", "debit", "value", "tip", "worth"),
        *("summe", "gesamt", "netto", "brutto", "steuer", "mwst", "miete"),
        *("valor", "totale", "totaal", "iva", "tva", "taxe", "pago"),
        *("impuesto", "loyer", "wert", "valore", "bezahlt"),
    }
)
ABOUT_MONEY = frozenset(
    {
        *("order", "orders", "invoice", "invoices", "payment", "payments", "account"),
        *("accounts", "transaction", "transactions", "expense", "expenses", "bill"),
        *("bills", "sale", "sales", "purchase", "purchases", "cart", "subscription"),
        *("subscriptions", "ledger", "wallet", "wallets", "loan", "loans", "payroll"),
        *("booking", "bookings", "donation", "donations", "refunds", "currency"),
        *("iban", "budget", "budgets", "checkout", "salaries", "bank", "quote"),
        *("rechnung", "rechnungen", "konto", "konten", "bestellung", "bestellungen"),
        *("auftrag", "auftraege", "buchung", "buchungen", "zahlung", "zahlungen"),
        *("rechnungsposition", "rechnungspositionen", "angebot", "waehrung"),
        *("posten", "transaktion", "transaktionen", "transaccion", "transacciones"),
        *("facture", "factures", "commande", "commandes", "paiement", "paiements"),
        *("factura", "facturas", "pedido", "pedidos", "venta", "ventas", "pagos"),
        *("fattura", "fatture", "ordine", "ordini", "vendita", "vendite", "factuur"),
        *("bestelling", "bestellingen", "fatura", "faturas", "moneda", "devise"),
    }
)
"""In a table's or another column's name: there a total is one of money."""
MONEY_ENDINGS = (
    *("preis", "kosten", "betrag", "gehalt", "price", "cost", "gebuehr", "gebuhr"),
    *("umsatz", "saldo", "lohn", "prijs", "guthaben", "amounteur", "amountusd"),
)
NOT_MONEY = frozenset(
    {
        *("rate", "ratio", "percent", "percentage", "pct", "factor", "count", "number"),
        *("id", "date", "at", "time", "type", "status", "name", "code", "currency"),
        *("index", "weight", "hours", "minutes", "seconds", "quantity", "qty", "kg"),
        *("method", "level", "note", "notes", "text", "url", "by", "score", "km"),
        *("margin", "mode", "kind", "category", "state", "cents", "precision"),
        *("complexity", "estimate", "function", "matrix", "distance", "energy"),
        *("satz", "prozent", "faktor", "anzahl", "nummer", "datum", "art", "typ"),
        *("gewicht", "menge", "stunden", "minuten", "tage", "taux", "tipo", "fecha"),
    }
)
NUMBERED = frozenset(
    {
        *("id", "ids", "key", "no", "number", "phone", "tel", "fax", "size", "bytes"),
        *("hash", "crc", "checksum", "code", "serial", "zip", "count", "amount", "ip"),
        *("total", "version", "isbn", "ean", "upc", "sku", "barcode", "offset", "pid"),
        *("position", "seed", "duration", "elapsed", "price", "inode", "mask", "flags"),
        *("nummer", "telefon", "nr", "mobile", "population", "length", "distance"),
    }
)
"""Such a column holds large numbers that are no moments, whatever they look like."""
QUANTITY = frozenset(
    {
        *("quantity", "qty", "count", "total", "amount", "stock", "percent", "units"),
        *("height", "width", "weight", "duration", "balance", "menge", "anzahl"),
        *("bestand", "gewicht", "summe", "stueck", "stuck", "cantidad", "quantite"),
        *("quantita", "hoeveelheid", "aantal", "peso", "poids", "stueckzahl"),
    }
)
PEOPLE = frozenset(
    {
        *("email", "mail", "user", "username", "login", "account", "nick", "nickname"),
        *("benutzer", "benutzername", "konto", "kennung", "correo", "usuario"),
        *("courriel", "utilisateur", "utente", "gebruiker", "phone", "telefon"),
        *("customer", "kunde", "kundennummer", "coupon", "voucher", "gutschein"),
    }
)
"""What a person types: two that differ in case or spaces are one and the same."""
TITLES = frozenset(
    {
        *("name", "title", "label", "bezeichnung", "titel", "nombre", "nom", "nome"),
        *("naam", "namn", "nazwa", "category", "kategorie", "tag", "genre"),
    }
)
FREE = frozenset(
    {
        *("value", "val", "data", "content", "setting", "payload", "key", "body"),
        *("v", "any", "wert", "default", "result", "arg", "args", "param", "valor"),
    }
)
"""A column that is meant to hold whatever comes."""
