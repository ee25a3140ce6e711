// Exact product: (-1)^sign · significand · 2^(exponent - bias A - bias B - MA - MB - 1), its first
// bit set unless it is zero (or, with NORMALISE = 0, wherever that comes to lie).
module fp_product #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter NORMALISE = 1,
    // derived: bits of the significand and of the exponent, a signed number
    parameter P = MA + MB + 2,
    parameter X = 2 + (EA > EB ? EA : EB) + $clog2(P)
) (
    input [EA+MA:0] a,
    input [EB+MB:0] b,
    output sign,
    output signed [X-1:0] exponent,
    output [P-1:0] significand
);
    localparam SUBNORMALS = SUBNORMALSA || SUBNORMALSB;
    localparam C = SUBNORMALS ? $clog2(P) : 1;

    wire sign_a, sign_b;
    wire [EA-1:0] exponent_a;
    wire [EB-1:0] exponent_b;
    wire [MA:0] significand_a;
    wire [MB:0] significand_b;
    fp_unpack #(.E(EA), .M(MA), .SUBNORMALS(SUBNORMALSA)) unpack_a (
        .code(a), .sign(sign_a), .exponent(exponent_a), .significand(significand_a)
    );
    fp_unpack #(.E(EB), .M(MB), .SUBNORMALS(SUBNORMALSB)) unpack_b (
        .code(b), .sign(sign_b), .exponent(exponent_b), .significand(significand_b)
    );

    wire [P-1:0] product = significand_a * significand_b;
    wire [C-1:0] zeros;
    generate
        if (!NORMALISE) begin : raw
            assign zeros = {C{1'b0}};
        end else if (SUBNORMALS) begin : any
            wire none;
            leading_zeros #(.W(P)) count (.x(product), .count(zeros), .none(none));
        end else begin : one  // 1 <= product < 4
            assign zeros = ~product[P-1];
        end
    endgenerate
    assign sign = sign_a ^ sign_b;
    assign significand = product << zeros;
    assign exponent = exponent_a + exponent_b + 1 - zeros;
endmodule
