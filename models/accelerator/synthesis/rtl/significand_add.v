// big ± little / 2^distance, as a magnitude rounded down and a sticky bit.
//
// With G >= 1 guard bits the magnitude has at least G - 1 true bits below P after normalisation:
// it loses more than its first bit only where distance <= 1, and then nothing is cut.
module significand_add #(
    parameter P = 11,  // significand bits
    parameter X = 6,   // bits of the distance, unsigned
    parameter G = 2,   // guard bits, at least 1
    parameter ORDERED = 1  // 0 where the shifted little one may be the larger
) (
    input big_sign,
    input [P-1:0] big,
    input little_sign,
    input [P-1:0] little,
    input [X-1:0] distance,
    output sign,
    output [P+G:0] magnitude,
    output sticky
);
    localparam D = $clog2(P + G + 1);
    localparam T = P + G + 1;

    wire [X+D-1:0] far = distance;  // never narrower than the amount
    wire [D-1:0] amount = |far[X+D-1:D] ? {D{1'b1}} : far[D-1:0];
    wire [P+G-1:0] shifted;
    shift_right_sticky #(.W(P + G), .S(D)) align (
        .x({little, {G{1'b0}}}), .amount(amount), .y(shifted), .sticky(sticky)
    );

    wire subtract = big_sign ^ little_sign;
    // what fell off is borrowed, so that the difference is rounded down
    wire [T-1:0] total = {1'b0, big, {G{1'b0}}}
        + ({1'b0, shifted} ^ {T{subtract}}) + (subtract & ~sticky);

    generate
        if (ORDERED) begin : ordered
            assign sign = big_sign;
            assign magnitude = total;
        end else begin : either
            wire negative = subtract & total[T-1];
            assign sign = big_sign ^ negative;
            // what fell off belongs to the larger one here, so nothing is borrowed
            assign magnitude = negative ? ~total + {{(T-1){1'b0}}, ~sticky} : total;
        end
    endgenerate
endmodule
